import type { z } from 'zod';
import { kindOf, optionSchema, shownOptions, type OptionSchema, type Section } from './option-schema.ts';

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

function describe(schema: OptionSchema, indent: string): string[] {
  const isChoice = schema.enum !== undefined || schema.anyOf !== undefined;
  const text = [schema.description, isChoice ? kindOf(schema) : undefined]
    .filter((part) => part !== undefined)
    .join(': ');
  return text === '' ? [] : wrapped(text, indent);
}

function entry(key: string, schema: OptionSchema, given: unknown, indent: string): string[] {
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

function entries(schema: OptionSchema, given: Readonly<Record<string, unknown>>, indent: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) =>
    entry(key, value, given[key], indent),
  );
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
    ...entries(optionSchema(common), given, '  '),
  ];
  for (const section of sections) {
    lines.push('', `  // ---- ${section.title}`, `  ${JSON.stringify(section.key)}: {`);
    lines.push(...entries(shownOptions(section), {}, '    '), '  },');
  }
  return `${[...lines, '}'].join('\n')}\n`;
}
