"""Position embeddings of other grids, as PyTorch makes them: positions.txt, one case after another:
"antialias align_corners side to channels", then the grid, then the result, row by row.

make_positions.py > positions.txt, where `import torch` works (made with PyTorch 1.13.1)."""
import torch

torch.manual_seed(5)
CASES = [  # antialias, align_corners, side, to
    (0, 0, 4, 7), (0, 0, 7, 4), (0, 0, 3, 3), (1, 0, 4, 7), (1, 0, 7, 4), (1, 0, 9, 2),
    (0, 1, 4, 7), (0, 1, 7, 4), (0, 1, 5, 1)]
for antialias, align, side, to in CASES:
    grid = torch.randn(1, 2, side, side, dtype=torch.float64).to(torch.float32)
    made = torch.nn.functional.interpolate(
        grid.to(torch.float64), size=(to, to), mode='bicubic',
        align_corners=bool(align) if not antialias else False, antialias=bool(antialias))
    print(antialias, align, side, to, 2)
    for values in (grid, made):
        rows = values[0].permute(1, 2, 0).reshape(-1)
        print(' '.join('%.9g' % float(x) for x in rows))
