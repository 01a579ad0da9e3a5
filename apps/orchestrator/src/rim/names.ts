import { AntirioError } from '@antirio/kernel';

/**
 * Where names stand in a document of EdgeX: `name` is one, a list has one shape for all its items, an object one for each of some
 * fields. Everything else stays as it is.
 */
export type Shape = 'name' | 'message' | readonly [Shape] | { readonly [field: string]: Shape };

/** A contract's part of the provider's names: `<contractId>.<name>`. */
export interface Namespace {
  readonly prefix: string;
  add(name: string): string;
  /** Names of others stay as they are. */
  strip(name: string): string;
  owns(name: string): boolean;
}

export function createNamespace(contractId: string): Namespace {
  const prefix = `${contractId}.`;
  const owns = (name: string): boolean => name.startsWith(prefix);
  return {
    prefix,
    owns,
    add: (name) => prefix + name,
    strip: (name) => (owns(name) ? name.slice(prefix.length) : name),
  };
}

type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}

/** Go reads a field in any case: only the exact one is let through where a name stands. */
function dropLookalikes(fields: Fields, shape: Readonly<Record<string, Shape>>): Fields {
  const named = new Map(Object.keys(shape).map((field) => [field.toLowerCase(), field]));
  const clean = Object.entries(fields).filter(
    ([field]) => (named.get(field.toLowerCase()) ?? field) === field,
  );
  return Object.fromEntries(clean);
}

function walk(
  value: unknown,
  shape: Shape,
  rename: (text: string, kind: 'name' | 'message') => string,
): unknown {
  if (shape === 'name' || shape === 'message')
    return typeof value === 'string' && value !== '' ? rename(value, shape) : value;
  if (Array.isArray(shape))
    return Array.isArray(value) ? value.map((item) => walk(item, shape[0] as Shape, rename)) : value;
  if (!isFields(value)) return value;
  const fields = shape as Readonly<Record<string, Shape>>;
  const out = dropLookalikes(value, fields);
  for (const [field, inner] of Object.entries(fields))
    if (field in out) out[field] = walk(out[field], inner, rename);
  return out;
}

/** The service's own names become those of the provider. */
export function addNames(value: unknown, shape: Shape, namespace: Namespace): unknown {
  return walk(value, shape, (text, kind) => (kind === 'name' ? namespace.add(text) : text));
}

/** The provider's names become those that the service knows; also where they stand inside of messages. */
export function stripNames(value: unknown, shape: Shape, namespace: Namespace): unknown {
  return walk(value, shape, (text, kind) =>
    kind === 'name' ? namespace.strip(text) : text.replaceAll(namespace.prefix, ''),
  );
}

/** @throws AntirioError invalidInput when the path is not percent-encoded as it should be. */
export function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new AntirioError('invalidInput', 'the path is not percent-encoded', {}, cause);
  }
}
