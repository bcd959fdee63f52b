"""What users see of running tasks: XComs, metrics, and warnings about late polls."""
