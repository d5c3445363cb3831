"""`python -m deploy.kernel`: what the kernelspec starts."""

from __future__ import annotations

from deploy.kernel.kernel import main

if __name__ == "__main__":
    main()
