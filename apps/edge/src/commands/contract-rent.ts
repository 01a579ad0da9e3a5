import { z } from 'zod';

export const rentView = z.looseObject({
  prepaid: z.number(),
  earned: z.number(),
  provenMs: z.number(),
  doubtedAt: z.number().optional(),
});

/** What standing by has brought so far; nothing where nobody pays for it. */
export function rentLines(
  rent: z.output<typeof rentView> | undefined,
  perHour: number | undefined,
): string[] {
  if (rent === undefined) return [];
  const { prepaid, earned, provenMs, doubtedAt } = rent;
  const price = perHour === undefined ? '' : `${perHour} an hour, `;
  const asked = doubtedAt === undefined ? '' : new Date(doubtedAt).toISOString();
  return [
    `rent: ${earned} of ${prepaid} earned (${price}${Math.floor(provenMs / 1000)} s)`,
    ...(asked === ''
      ? []
      : [`rent: the provider was asked at ${asked} whether it is there, and has not answered`]),
  ];
}
