"""The credentials of connections of Google Cloud, Azure and AWS, by the hooks of their Airflow providers."""
