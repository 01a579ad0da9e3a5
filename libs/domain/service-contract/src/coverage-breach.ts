/**
 * Whether a provider handed back too little of what was sent while its customer was away: the lower tail of a sum of independent
 * binomials, one for each device with its own chance. Exact as long as that is little work, otherwise Chernoff's upper bound.
 */

/** Less likely than that, and it is no bad luck. */
export const BREACH_LOG10 = -6;

/** A device with a baseline, and its uplinks of an outage by FCnt. */
export interface JudgedDevice {
  readonly expected: number;
  /** Those of them that the provider handed back. */
  readonly heard: number;
  /** The lower bound of its baseline: the chance of each uplink to be heard, at least. */
  readonly atLeast: number;
}

export interface CoverageJudgement {
  readonly verdict: 'within' | 'breach' | 'notJudged';
  readonly devices: number;
  readonly expected: number;
  readonly heard: number;
  /** Of the chance that a provider which hears as well as its baselines say hears so few or fewer; never below the true one. */
  readonly log10P: number;
  /** Where there were too many for the exact sum, it is an upper bound of it. */
  readonly method: 'exact' | 'bound';
}

/** Independent trials with one chance. */
export interface Trials {
  readonly n: number;
  readonly p: number;
}

/** Products that an exact tail may take, about a tenth of a second; with more of them it is bounded. */
const EXACT_WORK = 300_000;
/** Of the bound's exponent: each step looks at each different chance once. */
const HALVINGS = 100;
const STEEPEST = 800;
/** Rounding, relative to the logarithm, far above what it amounts to: the answer is never too small by it. */
const ROUNDING = 1e-9;

/** ln(e^a + e^b). */
function logAdd(a: number, b: number): number {
  const [low, high] = a < b ? [a, b] : [b, a];
  return high === -Infinity ? high : high + Math.log1p(Math.exp(low - high));
}

/** ln P(X = i) for i in 0..most. */
function logMasses({ n, p }: Trials, most: number): Float64Array {
  const masses = new Float64Array(Math.min(n, most) + 1);
  const odds = Math.log(p) - Math.log1p(-p);
  let mass = n * Math.log1p(-p);
  for (let i = 0; i < masses.length; i++) {
    if (i > 0) mass += Math.log((n - i + 1) / i) + odds;
    masses[i] = mass;
  }
  return masses;
}

/** ln of the masses of a sum, in 0..most. */
function convolve(a: Float64Array, b: Float64Array, most: number): Float64Array {
  const out = new Float64Array(Math.min(most + 1, a.length + b.length - 1)).fill(-Infinity);
  a.forEach((x, i) => {
    const end = Math.min(b.length, out.length - i);
    for (let j = 0; j < end; j++) out[i + j] = logAdd(out[i + j] ?? -Infinity, x + (b[j] ?? -Infinity));
  });
  return out;
}

function workOf(groups: readonly Trials[], most: number): number {
  let work = 0;
  let length = 1;
  for (const { n } of groups) {
    const own = Math.min(n, most) + 1;
    work += length * own;
    length = Math.min(most + 1, length + own - 1);
  }
  return work;
}

function exactTail(groups: readonly Trials[], most: number): number {
  let masses: Float64Array = new Float64Array(1);
  for (const group of groups) masses = convolve(masses, logMasses(group, most), most);
  return masses.reduce(logAdd, -Infinity);
}

/** Chernoff: for any t >= 0, P(X <= most) <= e^(t most) E(e^(-tX)); the best t is where the tilted mean is `most`. */
function boundedTail(groups: readonly Trials[], most: number): number {
  const tiltedMean = (t: number): number => {
    const shrunk = Math.exp(-t);
    return groups.reduce((sum, { n, p }) => sum + (n * p * shrunk) / (1 - p + p * shrunk), 0);
  };
  let [low, high] = [0, STEEPEST];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (tiltedMean(middle) > most) low = middle;
    else high = middle;
  }
  const log = (t: number): number =>
    groups.reduce((sum, { n, p }) => sum + n * Math.log1p(p * Math.expm1(-t)), t * most);
  return Math.min(0, log(low));
}

/** Those with the same chance are one binomial; what surely fails adds nothing, what surely succeeds shifts the sum. */
function grouped(trials: readonly Trials[]): { readonly groups: Trials[]; readonly sure: number } {
  const byChance = new Map<number, number>();
  let sure = 0;
  for (const { n, p } of trials)
    if (p >= 1) sure += n;
    else if (p > 0 && n > 0) byChance.set(p, (byChance.get(p) ?? 0) + n);
  return { groups: [...byChance].map(([p, n]) => ({ n, p })), sure };
}

/**
 * log10 of P(X <= most), X a sum of independent binomials; never below the true one. Work: 300,000 products
 * where it is exact, otherwise a hundred steps for each different chance.
 */
export function lowerTail(
  trials: readonly Trials[],
  most: number,
): Pick<CoverageJudgement, 'log10P' | 'method'> {
  const { groups, sure } = grouped(trials);
  const left = most - sure;
  const total = groups.reduce((sum, { n }) => sum + n, 0);
  if (left < 0) return { log10P: -Infinity, method: 'exact' };
  if (left >= total) return { log10P: 0, method: 'exact' };
  const isExact = workOf(groups, left) <= EXACT_WORK;
  const log10P = (isExact ? exactTail(groups, left) : boundedTail(groups, left)) / Math.LN10;
  const raised = Math.min(0, log10P + ROUNDING * (1 + Math.abs(log10P)));
  return { log10P: raised, method: isExact ? 'exact' : 'bound' };
}

/** What all judged devices together say of a provider's hearing; a breach where it is less likely than 10 to the `below`. */
export function judgeCoverage(
  devices: readonly JudgedDevice[],
  below: number = BREACH_LOG10,
): CoverageJudgement {
  const judged = devices.filter(({ expected, atLeast }) => expected > 0 && atLeast > 0);
  const expected = judged.reduce((sum, one) => sum + one.expected, 0);
  const heard = judged.reduce((sum, one) => sum + one.heard, 0);
  const tail = lowerTail(
    judged.map(({ expected: n, atLeast: p }) => ({ n, p })),
    heard,
  );
  const verdict = tail.log10P < below ? 'breach' : 'within';
  return {
    verdict: judged.length === 0 ? 'notJudged' : verdict,
    devices: judged.length,
    expected,
    heard,
    ...tail,
  };
}
