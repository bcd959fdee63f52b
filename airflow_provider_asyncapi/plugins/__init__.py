"""What Airflow's API server runs for this provider."""
