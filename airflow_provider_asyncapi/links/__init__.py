"""Links in Airflow's UI."""
