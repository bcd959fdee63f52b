"""
Send requests over aiohttp's connections, without its session, request and response objects.

They repeat for each request what is the same for all, which takes longer than everything else in a poll.
"""
