"""Ports that the router opens for us: PCP, NAT-PMP, UPnP. The formats and machines are pure, the shells thin."""
