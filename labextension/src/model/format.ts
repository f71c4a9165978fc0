/**
 * Numbers and times as people read them. Pure.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** "312 B", "44 kB", "1.6 GB"; steps of 1024, as memory limits are given. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits).replace(/\.0$/, '')} ${UNITS[unit]}`;
}

/** A title as the name of a file, without an ending. */
export function fileName(title: string): string {
  const name = title
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u001f<>:"/\\|?*]+/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/^\.+|[. ]+$/g, '');
  return name.slice(0, 60).trim() || 'conversation';
}

/** "448 MB / 2 GB", or "1.6 / 2 GB" where both have one unit. */
export function bytesOf(count: number, limit: number): string {
  const [part, whole] = [bytes(count), bytes(limit)];
  const unit = whole.slice(whole.indexOf(' '));
  return part.endsWith(unit)
    ? `${part.slice(0, -unit.length)} / ${whole}`
    : `${part} / ${whole}`;
}

/** "<0.1 s", "0.4 s", "14 s", "2 min 5 s", "1 h 3 min". */
export function duration(seconds: number): string {
  if (seconds < 0.05) {
    return '<0.1 s';
  }
  if (seconds < 9.95) {
    return `${seconds.toFixed(1).replace(/\.0$/, '')} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  if (whole < 3600) {
    const rest = whole % 60;
    return `${Math.floor(whole / 60)} min${rest ? ` ${rest} s` : ''}`;
  }
  const minutes = Math.floor((whole % 3600) / 60);
  return `${Math.floor(whole / 3600)} h${minutes ? ` ${minutes} min` : ''}`;
}

/** A count with thin groups: "3 214". */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** "just now", "2 min ago", "yesterday", "Tuesday", "3 Nov". Times are in milliseconds. */
export function ago(
  time: number,
  now: number,
  trans: TranslationBundle,
  locale?: string
): string {
  const minutes = Math.floor((now - time) / 60000);
  if (minutes < 1) {
    return trans.__('just now');
  }
  if (minutes < 60) {
    return trans.__('%1 min ago', minutes);
  }
  const days = Math.round((midnight(now) - midnight(time)) / 86400000);
  if (days <= 0) {
    return trans.__('%1 h ago', Math.floor(minutes / 60));
  }
  if (days === 1) {
    return trans.__('yesterday');
  }
  const date = new Date(time);
  if (days < 7) {
    return date.toLocaleDateString(locale, { weekday: 'long' });
  }
  const sameYear = date.getFullYear() === new Date(now).getFullYear();
  return date.toLocaleDateString(locale, {
    day: 'numeric',
    month: 'short',
    year: sameYear ? undefined : 'numeric'
  });
}

function midnight(time: number): number {
  const date = new Date(time);
  date.setHours(0, 0, 0, 0);
  return date.getTime();
}
