"""
Ways of paging: how the pages of a result are found.

A way is a module here with a :class:`~.base.Paging`, and its entry in :data:`~.registry.PAGING_KINDS`.
"""
