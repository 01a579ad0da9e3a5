/** How sure it is that a provider hears at least so much: a one-sided Clopper-Pearson bound, summed up exactly. */

/** Of the lower bound of a baseline. */
export const BASELINE_CONFIDENCE = 0.999;
/** Fewer uplinks say nothing. */
export const BASELINE_UPLINKS = 100;

const HALVINGS = 60;

/** ln(n!) for 0..n. */
function logFactorials(n: number): Float64Array {
  const logs = new Float64Array(n + 1);
  for (let i = 2; i <= n; i++) logs[i] = (logs[i - 1] ?? 0) + Math.log(i);
  return logs;
}

/** P(X >= k) for X of n independent trials with p each. `logs`: of `logFactorials(n)`. */
function upperTail(k: number, n: number, p: number, logs: Float64Array): number {
  if (p <= 0) return k <= 0 ? 1 : 0;
  if (p >= 1) return 1;
  const [logP, logQ] = [Math.log(p), Math.log1p(-p)];
  const log = (i: number): number => logs[i] ?? 0;
  let sum = 0;
  // from the smallest terms on, so that they are not lost beside the greatest
  for (let i = n; i >= k; i--) sum += Math.exp(log(n) - log(i) - log(n - i) + i * logP + (n - i) * logQ);
  return Math.min(1, sum);
}

/**
 * The Clopper-Pearson lower bound for the chance of a success, of which there were `successes` in `trials`: with any lower
 * chance so many would be seen with less than 1 - `confidence`. Never above the true solution by more than rounding.
 */
export function lowerBound(successes: number, trials: number, confidence = BASELINE_CONFIDENCE): number {
  if (successes <= 0 || trials <= 0) return 0;
  const alpha = 1 - confidence;
  if (successes >= trials) return alpha ** (1 / trials);
  const logs = logFactorials(trials);
  let [low, high] = [0, successes / trials];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (upperTail(successes, trials, middle, logs) > alpha) high = middle;
    else low = middle;
  }
  return low;
}
