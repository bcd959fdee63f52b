"""
Ways of paging: how the pages of a result are found.

A way is a module here with a :class:`~.way.Paging`, and its entry in :data:`~.registry.WAYS_OF_PAGING`.
"""
