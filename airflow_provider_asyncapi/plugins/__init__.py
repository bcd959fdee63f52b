"""What the provider adds to Airflow's API server."""
