"""`make bench`: every figure of docs/benchmarks.md, beside its yardstick, and bench/results.json."""

import json
import sys
from pathlib import Path

from bench import anomalies, audit, budgets, forecasts, ingest, memory, otlp, pricing, quota, rollups, sealing, watching
from bench.setting import describe_machine

PARTS = (pricing, ingest, otlp, memory, rollups, budgets, quota, forecasts, anomalies, watching, sealing, audit)
RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    """Run the parts one after another; what a part measured is printed and kept even when a later one fails."""
    print("\n".join(describe_machine()))
    results = []
    for part in PARTS:
        for result in part.run():
            results.append(result)
            print(
                f"{result['name']}: {result['value']} {result['unit']}, yardstick {result['yardstick']}, "
                f"ratio {result['ratio']}, runs {result['runs']}"
            )
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
