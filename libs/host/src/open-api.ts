import { z } from 'zod';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** What the document tells of a route. */
export interface DocumentedRoute {
  readonly method: Method;
  readonly path: string;
  readonly spec: {
    readonly summary: string;
    readonly params?: z.ZodType;
    readonly query?: z.ZodType;
    readonly body?: z.ZodType;
    readonly bodyType?: string;
    readonly answer?: z.ZodType;
    readonly answerType?: string;
    readonly status?: number;
  };
}

type Json = Record<string, unknown>;

const JSON_TYPE = 'application/json';
const NO_CONTENT = 204;
const BYTES = { type: 'string', format: 'binary' };

const ERROR = {
  type: 'object',
  properties: {
    apiVersion: { type: 'string', const: 'v3' },
    requestId: { type: 'string' },
    message: { type: 'string' },
    statusCode: { type: 'integer' },
  },
  required: ['apiVersion', 'message', 'statusCode'],
};

/** `$schema` belongs to documents of their own. */
function schemaOf(schema: z.ZodType | undefined, io: 'input' | 'output'): Json {
  if (schema === undefined) return {};
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}

interface Properties {
  readonly properties?: Readonly<Record<string, Json>>;
  readonly required?: readonly string[];
}

function parametersOf({ path, spec }: DocumentedRoute): Json[] {
  const inPath = (schemaOf(spec.params, 'input') as Properties).properties ?? {};
  const names = [...path.matchAll(/:(\w+)/g)].flatMap(([, name]) => name ?? []);
  const { properties = {}, required = [] } = schemaOf(spec.query, 'input') as Properties;
  const described = (schema: Json): Json => {
    const { description, ...rest } = schema;
    return description === undefined ? { schema: rest } : { description, schema: rest };
  };
  return [
    ...names.map((name) => ({
      name,
      in: 'path',
      required: true,
      ...described(inPath[name] ?? { type: 'string' }),
    })),
    ...Object.entries(properties).map(([name, schema]) => ({
      name,
      in: 'query',
      required: required.includes(name),
      ...described(schema),
    })),
  ];
}

function operationOf(route: DocumentedRoute): Json {
  const { summary, body, bodyType, answer, answerType = JSON_TYPE, status = 200 } = route.spec;
  const isJson = answerType === JSON_TYPE;
  const content = { [answerType]: { schema: isJson ? schemaOf(answer, 'input') : BYTES } };
  const content4xx = { [JSON_TYPE]: { schema: { $ref: '#/components/schemas/Error' } } };
  const operation: Json = {
    summary,
    responses: {
      [status]: { description: 'done', ...(status === NO_CONTENT ? {} : { content }) },
      default: { description: 'error: {apiVersion, requestId?, message, statusCode}', content: content4xx },
    },
    parameters: parametersOf(route),
  };
  if (body !== undefined)
    operation['requestBody'] = { content: { [JSON_TYPE]: { schema: schemaOf(body, 'input') } } };
  if (bodyType !== undefined) operation['requestBody'] = { content: { [bodyType]: { schema: BYTES } } };
  return operation;
}

/** The OpenAPI document of these routes. */
export function openApi(title: string, version: string, routes: readonly DocumentedRoute[]): unknown {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const documented = route.path.replace(/:(\w+)/g, '{$1}');
    paths[documented] = { ...paths[documented], [route.method]: operationOf(route) };
  }
  return { openapi: '3.1.0', info: { title, version }, paths, components: { schemas: { Error: ERROR } } };
}
