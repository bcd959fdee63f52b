"""Read DAG files with HttpOperator and HttpSensor, without executing them, and write their equivalents."""
