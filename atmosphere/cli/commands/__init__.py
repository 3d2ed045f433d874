"""The commands, one file a family; each is imported when it is run."""
