"""The imitated Application Auto Scaling for ECS services: its API, its alarms and what they do."""
