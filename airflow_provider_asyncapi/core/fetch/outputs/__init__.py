"""
Output types: what a fetch makes of what it gets.

An output type is a module here with an :class:`~.base.Output`, and its entry in :data:`~.registry.OUTPUT_TYPES`.
"""
