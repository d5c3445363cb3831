"""Plan the capacity and cost of container services on Amazon ECS."""
