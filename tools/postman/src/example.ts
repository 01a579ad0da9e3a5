export type Schema = Readonly<Record<string, unknown>>;

const DEEPEST = 8;

/** Texts of formats and names whose meaning a schema cannot tell. */
const TEXTS: Readonly<Record<string, string>> = {
  apiVersion: 'v3',
  adminState: 'UNLOCKED',
  operatingState: 'UP',
  interval: '10s',
  url: 'http://127.0.0.1:8080/',
  baseAddress: 'http://127.0.0.1:8080',
};
const FORMATS: Readonly<Record<string, string>> = {
  uuid: '11111111-1111-4111-8111-111111111111',
  uri: 'http://127.0.0.1:8080/',
  'date-time': '2026-01-01T00:00:00Z',
  binary: '',
};

function textOf(schema: Schema, name: string): string {
  const known = TEXTS[name] ?? FORMATS[String(schema['format'])];
  if (known !== undefined) return known;
  const least = Number(schema['minLength'] ?? 1);
  return 'example'.padEnd(least, '-');
}

function numberOf(schema: Schema): number {
  const { minimum, exclusiveMinimum, maximum } = schema as Record<string, number | undefined>;
  const least = minimum ?? (exclusiveMinimum === undefined ? 1 : exclusiveMinimum + 1);
  return Math.min(Math.max(least, 1), maximum ?? Infinity);
}

function objectOf(schema: Schema, depth: number): Record<string, unknown> {
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, Schema>>;
  const required = (schema['required'] ?? []) as readonly string[];
  return Object.fromEntries(
    required.map((name) => [name, exampleOf(properties[name] ?? {}, name, depth + 1)] as const),
  );
}

function ofType(schema: Schema, name: string, depth: number): unknown {
  const [type] = [schema['type']].flat();
  switch (type) {
    case 'object':
      return objectOf(schema, depth);
    case 'array':
      return [exampleOf((schema['items'] ?? {}) as Schema, name, depth + 1)];
    case 'integer':
    case 'number':
      return numberOf(schema);
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return textOf(schema, name);
  }
}

const listed = (schema: Schema, ...keys: readonly string[]): readonly unknown[] =>
  keys.flatMap((key) => (schema[key] ?? []) as readonly unknown[]);

/** A value of a JSON Schema, with what it requires alone. */
export function exampleOf(schema: Schema, name = '', depth = 0): unknown {
  if (depth > DEEPEST) return null;
  const given = [schema['default'], schema['const'], ...listed(schema, 'examples', 'enum')];
  const first = given.find((value) => value !== undefined);
  if (first !== undefined) return first;
  const [choice] = listed(schema, 'anyOf', 'oneOf', 'allOf') as readonly Schema[];
  return choice === undefined ? ofType(schema, name, depth) : exampleOf(choice, name, depth + 1);
}
