"""The imitated ECS: services that roll out, tasks that start, fail and stop, instances that come and go."""
