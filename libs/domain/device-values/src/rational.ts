/** An exact fraction; the denominator is positive. */
export interface Rational {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

const ZERO: Rational = { numerator: 0n, denominator: 1n };

export function whole(value: bigint): Rational {
  return { numerator: value, denominator: 1n };
}

/** The decimal number that a float is written as: 0.1 is one tenth. Zero for what is not finite. */
export function decimal(value: number): Rational {
  if (!Number.isFinite(value)) return ZERO;
  const [mantissa = '0', exponent = '0'] = value.toExponential().split('e');
  const places = mantissa.includes('.') ? mantissa.length - mantissa.indexOf('.') - 1 : 0;
  const digits = BigInt(mantissa.replace('.', ''));
  const power = Number(exponent) - places;
  return power >= 0
    ? whole(digits * 10n ** BigInt(power))
    : { numerator: digits, denominator: 10n ** BigInt(-power) };
}

export function plus(a: Rational, b: Rational): Rational {
  return {
    numerator: a.numerator * b.denominator + b.numerator * a.denominator,
    denominator: a.denominator * b.denominator,
  };
}

export function negative({ numerator, denominator }: Rational): Rational {
  return { numerator: -numerator, denominator };
}

export function times(a: Rational, b: Rational): Rational {
  return { numerator: a.numerator * b.numerator, denominator: a.denominator * b.denominator };
}

/** Undefined for nothing, which no number has as its inverse. */
export function inverse({ numerator, denominator }: Rational): Rational | undefined {
  if (numerator === 0n) return undefined;
  return numerator < 0n
    ? { numerator: -denominator, denominator: -numerator }
    : { numerator: denominator, denominator: numerator };
}

/** The integer that it is; undefined where it is none. */
export function integerOf({ numerator, denominator }: Rational): bigint | undefined {
  return numerator % denominator === 0n ? numerator / denominator : undefined;
}
