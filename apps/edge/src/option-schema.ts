import { z } from 'zod';

/** What of JSON Schema the options of rooms use. */
export interface OptionSchema {
  readonly description?: string;
  readonly default?: unknown;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly OptionSchema[];
  readonly items?: OptionSchema;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, OptionSchema>>;
  readonly additionalProperties?: unknown;
  readonly required?: readonly string[];
}

/** The options of one room. */
export interface Section {
  readonly key: string;
  readonly title: string;
  readonly schema: z.ZodType;
  /** Options that the host fills in. */
  readonly hidden: readonly string[];
}

export function optionSchema(schema: z.ZodType): OptionSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as OptionSchema;
}

/** Those of a section that an operator may set. */
export function shownOptions({ schema, hidden }: Section): OptionSchema {
  const whole = optionSchema(schema);
  const shown = Object.entries(whole.properties ?? {}).filter(([name]) => !hidden.includes(name));
  return { ...whole, properties: Object.fromEntries(shown) };
}

/** What may stand there, in a few words. */
export function kindOf(schema: OptionSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.anyOf !== undefined) return schema.anyOf.map(kindOf).join(' | ');
  if (schema.properties !== undefined) {
    const fields = Object.entries(schema.properties).map(([key, value]) => `${key}: ${kindOf(value)}`);
    return `{ ${fields.join(', ')} }`;
  }
  return typeof schema.type === 'string' ? schema.type : 'any';
}
