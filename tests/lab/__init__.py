"""A laboratory of home networks: machines, routers and one public segment, all of them network namespaces.

Nothing here touches the machine's own network: every address lives inside a namespace that the laboratory made,
every name carries the process's id, and leaving the `with` block removes all of it, whatever happened inside.
"""
