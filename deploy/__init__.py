"""Turn an approved plan into ECS configuration: emit, diff, approve, apply, verify, roll back."""
