import { z } from 'zod';

interface JsonSchema {
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: unknown;
  readonly required?: readonly string[];
}

const WIDTH = 110;

function wrapped(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + word.length + indent.length + 4 > WIDTH) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one) => `${indent}// ${one}`);
}

/** What may stand there, in a few words. */
function kindOf(schema: JsonSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.anyOf !== undefined) return schema.anyOf.map(kindOf).join(' | ');
  if (schema.properties !== undefined) {
    const fields = Object.entries(schema.properties).map(([key, value]) => `${key}: ${kindOf(value)}`);
    return `{ ${fields.join(', ')} }`;
  }
  return typeof schema.type === 'string' ? schema.type : 'any';
}

function describe(schema: JsonSchema, indent: string): string[] {
  const isChoice = schema.enum !== undefined || schema.anyOf !== undefined;
  const text = [schema.description, isChoice ? kindOf(schema) : undefined]
    .filter((part) => part !== undefined)
    .join(': ');
  return text === '' ? [] : wrapped(text, indent);
}

function entry(key: string, schema: JsonSchema, given: unknown, indent: string): string[] {
  const name = JSON.stringify(key);
  const comment = describe(schema, indent);
  if (given !== undefined) return [...comment, `${indent}${name}: ${JSON.stringify(given)},`];
  if (schema.properties !== undefined && schema.default !== undefined) {
    // An object with fields that have no defaults of their own is given as a whole or not at all.
    if ((schema.required ?? []).length === 0)
      return [...comment, `${indent}${name}: {`, ...entries(schema, {}, `${indent}  `), `${indent}},`];
    const fields = entries(schema, {}, '  ').map((line) => `${indent}//${line.replace(/\/\/ /, '')}`);
    return [...comment, ...fields, `${indent}// ${name}: ${JSON.stringify(schema.default)},`];
  }
  const value = schema.default === undefined ? kindOf(schema) : JSON.stringify(schema.default);
  return [...comment, `${indent}// ${name}: ${value},`];
}

function entries(schema: JsonSchema, given: Readonly<Record<string, unknown>>, indent: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) =>
    entry(key, value, given[key], indent),
  );
}

function jsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
}

export interface Section {
  readonly key: string;
  readonly title: string;
  readonly schema: z.ZodType;
  /** Options that the host fills in. */
  readonly hidden: readonly string[];
}

/** A configuration in which every option stands with what it means and its default, commented out unless it is given. */
export function configTemplate(
  common: z.ZodType,
  given: Readonly<Record<string, unknown>>,
  sections: readonly Section[],
): string {
  const lines = [
    '// The configuration of an Antirio edge: JSON with comments. What is commented out is the default.',
    '// Each option can also be set in the environment: ANTIRIO_PORT_OFFSET=100, ANTIRIO_CORE_DATA__MAX_RESULT_COUNT=500.',
    '{',
    ...entries(jsonSchema(common), given, '  '),
  ];
  for (const { key, title, schema, hidden } of sections) {
    const whole = jsonSchema(schema);
    const shown = Object.entries(whole.properties ?? {}).filter(([name]) => !hidden.includes(name));
    lines.push('', `  // ---- ${title}`, `  ${JSON.stringify(key)}: {`);
    lines.push(...entries({ ...whole, properties: Object.fromEntries(shown) }, {}, '    '), '  },');
  }
  return `${[...lines, '}'].join('\n')}\n`;
}
