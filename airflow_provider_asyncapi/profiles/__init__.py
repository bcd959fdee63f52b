"""The profiles that are shipped, one TOML file each."""
