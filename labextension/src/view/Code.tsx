import * as React from 'react';

import { highlight } from '../render/highlight';
import { useServices } from './services';

/** Python code, coloured, also while it is being written. */
export const Code = React.memo(function Code(props: {
  code: string;
}): JSX.Element {
  const { languages } = useServices();
  const host = React.useRef<HTMLElement>(null);
  const { code } = props;
  React.useEffect(() => {
    const element = host.current;
    if (!element) {
      return;
    }
    if (languages === null) {
      element.textContent = code;
    } else {
      void highlight(languages, code, element).catch(() => {
        element.textContent = code;
      });
    }
  }, [languages, code]);
  return (
    <pre className="jp-CICode" tabIndex={0}>
      <code ref={host} />
    </pre>
  );
});
