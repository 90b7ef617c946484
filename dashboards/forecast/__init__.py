"""The page Forecast: what a month will have cost at its end, how right that was before, what is known beforehand."""
