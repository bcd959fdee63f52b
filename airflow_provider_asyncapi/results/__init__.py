"""Results on the worker: fetched, unpacked, and written to their destination."""
