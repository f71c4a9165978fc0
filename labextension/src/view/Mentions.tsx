/**
 * "@": cells, notebooks and files of Lab that can be brought into the message.
 */
import * as React from 'react';

import type { IMention } from './services';
import { useServices } from './services';

interface IMentions {
  found: IMention[];
  at: number;
  choose: (mention: IMention) => void;
  update: () => void;
  close: () => void;
  /** Whether the key was one for the list. */
  onKeyDown: (event: React.KeyboardEvent) => boolean;
}

export function useMentions(
  area: React.RefObject<HTMLTextAreaElement>,
  text: string,
  change: (text: string) => void
): IMentions {
  const { actions } = useServices();
  const [query, setQuery] = React.useState<string | null>(null);
  const [at, setAt] = React.useState(0);
  const found = React.useMemo(() => {
    if (query === null) {
      return [];
    }
    const wanted = query.toLowerCase();
    return actions
      .mentions()
      .filter(({ label }) => label.toLowerCase().includes(wanted))
      .slice(0, 8);
  }, [query, actions]);
  const close = () => setQuery(null);
  const update = () => {
    const element = area.current;
    const before = element?.value.slice(0, element.selectionStart) ?? '';
    const match = /(?:^|\s)@([^\s@]*)$/.exec(before);
    setQuery(match ? match[1] : null);
    setAt(0);
  };
  const choose = async (mention: IMention) => {
    const cursor = area.current?.selectionStart ?? text.length;
    const start = text.slice(0, cursor).lastIndexOf('@');
    close();
    const added = await mention.apply();
    change(text.slice(0, start) + added + text.slice(cursor));
    area.current?.focus();
  };
  return {
    found,
    at,
    choose: mention => void choose(mention),
    update,
    close,
    onKeyDown: event => {
      if (found.length === 0) {
        return false;
      }
      switch (event.key) {
        case 'ArrowDown':
        case 'ArrowUp': {
          const step = event.key === 'ArrowDown' ? 1 : -1;
          setAt((at + step + found.length) % found.length);
          break;
        }
        case 'Enter':
        case 'Tab':
          void choose(found[at]);
          break;
        case 'Escape':
          close();
          break;
        default:
          return false;
      }
      event.preventDefault();
      event.stopPropagation();
      return true;
    }
  };
}

export function Mentions(props: { state: IMentions }): JSX.Element | null {
  const { trans } = useServices();
  const { found, at, choose } = props.state;
  if (found.length === 0) {
    return null;
  }
  return (
    <ul
      className="jp-CIMentions"
      role="listbox"
      aria-label={trans.__('Bring in')}
    >
      {found.map((mention, index) => (
        <li
          key={mention.id}
          role="option"
          aria-selected={index === at}
          onMouseDown={event => {
            event.preventDefault(); // the text keeps the focus
            choose(mention);
          }}
        >
          <b>{mention.label}</b> <span>{mention.hint}</span>
        </li>
      ))}
    </ul>
  );
}
