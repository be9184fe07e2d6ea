"""How fast gradient descent reaches K*, and to which floor (`nlqr/linear-convergence`).

With the exact gradient and η <= 2/(μ+h), |K - K*| contracts at 1 - ημ near K* and the cost gap at
its square: what is compared are exponents, -log(ratio). Zeroth-order gradients follow the same line
down to a floor that their noise sets; natural gradients need no such step size.
"""
