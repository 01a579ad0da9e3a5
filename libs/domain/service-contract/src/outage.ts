/** For how long a provider's ring has room at least, s. */
export const LEAST_OUTAGE_S = 3600;

/** Why these terms are not signed; those that were before stay what they are. */
export function outageProblem({ outageS }: { readonly outageS: number }): string | undefined {
  return outageS < LEAST_OUTAGE_S
    ? `outageS is ${outageS}: a contract covers an outage of an hour at least (${LEAST_OUTAGE_S})`
    : undefined;
}
