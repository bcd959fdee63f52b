"""What people see of tasks while they run: XComs, metrics, and warnings of late polls."""
