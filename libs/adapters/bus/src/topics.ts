import { AntirioError } from '@antirio/kernel';

const MAX_TOPIC_BYTES = 1024;
/** The embedded broker's own limit. */
const MAX_LEVELS = 100;

function checkText(text: string, what: string): void {
  if (text.length === 0 || Buffer.byteLength(text) > MAX_TOPIC_BYTES || text.includes('\0'))
    throw new AntirioError('invalidInput', `${what} must have 1 to ${MAX_TOPIC_BYTES} bytes and no NUL`);
  if (text.split('/').length > MAX_LEVELS)
    throw new AntirioError('invalidInput', `${what} has over ${MAX_LEVELS} levels`);
}

/** @throws AntirioError invalidInput when messages cannot be published to it (MQTT 3.1.1, section 4.7). */
export function checkTopic(topic: string): void {
  checkText(topic, 'a topic');
  if (/[+#]/.test(topic)) throw new AntirioError('invalidInput', 'a topic has no wildcards', { topic });
}

/** @throws AntirioError invalidInput when it is no topic filter (MQTT 3.1.1, section 4.7.1). */
export function checkFilter(filter: string): void {
  checkText(filter, 'a topic filter');
  const levels = filter.split('/');
  const wrong = levels.some(
    (level, i) =>
      (level !== '+' && level.includes('+')) ||
      (level.includes('#') && (level !== '#' || i < levels.length - 1)),
  );
  if (wrong)
    throw new AntirioError('invalidInput', 'a wildcard stands alone in its level, # only in the last', {
      filter,
    });
}

function levelsMatch(filter: readonly string[], topic: readonly string[]): boolean {
  for (const [i, level] of filter.entries()) {
    if (level === '#') return true;
    if (i >= topic.length || (level !== '+' && level !== topic[i])) return false;
  }
  return filter.length === topic.length;
}

/** Whether a filter takes messages of a topic; wildcards in the first level leave out the topics of the broker itself (`$SYS`). */
export function createTopicMatcher(filter: string): (topic: string) => boolean {
  const levels = filter.split('/');
  const wild = filter.startsWith('+') || filter.startsWith('#');
  return (topic) => !(wild && topic.startsWith('$')) && levelsMatch(levels, topic.split('/'));
}
