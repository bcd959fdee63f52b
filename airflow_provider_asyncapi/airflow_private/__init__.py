"""Code that uses private modules of Airflow."""
