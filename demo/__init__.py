"""Things that show the provider at work: a server to talk to, without any vendor account."""
