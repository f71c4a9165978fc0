import * as React from 'react';

import { Highlighter } from '../render/highlight';
import { cancelTurn, inTurn } from '../render/turns';
import { useServices } from './services';

/** Milliseconds without a new character after which code is taken to be whole. */
const SETTLED_AFTER = 600;

/** Code, coloured, also while it is being written. */
export const Code = React.memo(function Code(props: {
  code: string;
  language?: string;
}): JSX.Element {
  const { languages } = useServices();
  const host = React.useRef<HTMLElement>(null);
  const highlighter = React.useRef<Highlighter | null>(null);
  const { code, language = 'python' } = props;
  React.useEffect(() => {
    const element = host.current;
    if (!element) {
      return;
    }
    const painter = (highlighter.current ??= new Highlighter(
      element,
      languages
    ));
    if (!element.hasChildNodes()) {
      element.textContent = code; // in colours in a moment
    }
    let timer = 0;
    inTurn(element, async () => {
      if (!(await painter.show(code, language))) {
        timer = window.setTimeout(
          () => inTurn(element, () => painter.settle()),
          SETTLED_AFTER
        );
      }
    });
    return () => {
      clearTimeout(timer);
      cancelTurn(element);
    };
  }, [languages, code, language]);
  return (
    <pre className="jp-CICode" tabIndex={0}>
      <code ref={host} />
    </pre>
  );
});
