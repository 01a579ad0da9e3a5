import type { z } from 'zod';

type Path = readonly PropertyKey[];

/** Go's names where they are not the JSON name with a capital letter. */
const GO_NAMES: Readonly<Record<string, string>> = {
  apiVersion: 'BaseRequest.Versionable.ApiVersion',
  requestId: 'BaseRequest.RequestId',
  provisionwatcher: 'ProvisionWatcher',
  basicinfo: 'BasicInfo',
};

/** Fields whose keys are data. */
const MAPS = new Set<PropertyKey>(['protocols', 'identifiers', 'blockingIdentifiers', 'mappings']);

function goName(key: string): string {
  return GO_NAMES[key] ?? key.charAt(0).toUpperCase() + key.slice(1);
}

/** A field as Go's validator names it: `AddDeviceRequest.Device.AutoEvents[0].Interval`; the place in the request's array is left out. */
function fieldName(root: string, path: Path): string {
  let named = root;
  path.forEach((key, index) => {
    if (typeof key === 'number') named += index === 0 ? '' : `[${key}]`;
    else if (index > 0 && MAPS.has(path[index - 1] ?? '')) named += `[${String(key)}]`;
    else named += `.${goName(String(key))}`;
  });
  return named;
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    const fields = value as Record<PropertyKey, unknown>;
    value = fields[key] ?? (key === 'provisionwatcher' ? fields['provisionWatcher'] : undefined);
  }
  return value;
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'bigint' ? 'number' : typeof value;
}

type Issue = z.core.$ZodIssue;

/** What is wrong with the field, as a predicate; undefined where the issue is a whole sentence. */
function predicateOf(issue: Issue, value: unknown): string | undefined {
  if (issue.code === 'invalid_value')
    return `should be one of ${issue.values.map((known) => `'${String(known)}'`).join(' ')}`;
  if (value === undefined || value === null || value === '') return emptyPredicateOf(issue);
  switch (issue.code) {
    case 'invalid_type':
    case 'invalid_union':
      return `cannot be unmarshalled from ${kindOf(value)}`;
    case 'too_small':
      return `should greater than ${issue.inclusive === true ? Number(issue.minimum) - 1 : issue.minimum}`;
    case 'too_big':
      return `should not exceed ${issue.maximum}`;
    default:
      return customPredicateOf(issue);
  }
}

function customPredicateOf(issue: Issue): string | undefined {
  if (issue.code === 'custom' && issue.params?.['whole'] === true) return undefined;
  return issue.message.replace(/^field /, '');
}

function emptyPredicateOf(issue: Issue): string | undefined {
  const told = issue.code === 'custom' ? customPredicateOf(issue) : undefined;
  return told !== undefined && told !== 'should not be empty string' ? told : 'is required';
}

/**
 * The text with which EdgeX refuses a request: each wrong field by its name in Go and what its rule says.
 * @param root The request's type in Go, such as `AddDeviceRequest`.
 */
export function refusalText(root: string, error: z.ZodError, input: unknown): string {
  const texts = error.issues.map((issue) => {
    const predicate = predicateOf(issue, valueAt(input, issue.path));
    return predicate === undefined ? issue.message : `${fieldName(root, issue.path)} field ${predicate}`;
  });
  return [...new Set(texts)].join('; ');
}
