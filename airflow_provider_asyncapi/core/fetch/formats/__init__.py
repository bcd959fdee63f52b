"""
Result formats: how a body becomes a value or rows.

A format is a module here with a :class:`~.base.FormatKind`, and its entry in :data:`~.registry.RESULT_FORMATS`.
"""
