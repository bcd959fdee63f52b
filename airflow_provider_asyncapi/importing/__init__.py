"""
Read what others have described, and write it as profiles: cURL commands, DAGs, and the documents of other tools.

Nothing that tasks import knows of it. It sends no request and executes nothing of what it reads.
"""
