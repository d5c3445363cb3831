"""The "ECS deploy" Jupyter kernel: IPython with a write guard, a journal and the verbs of `deploy` as magics."""
