"""All that uses modules of Airflow that aren't public."""
