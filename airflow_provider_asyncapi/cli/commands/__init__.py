"""The commands, each group in its module; :mod:`.registry` lists them with their arguments."""
