import * as React from 'react';

interface IProps {
  /** What stands where the children could not be shown. */
  instead: string;
  children: React.ReactNode;
}

/** Keeps a failure to show one thing from taking the whole panel away. */
export class Boundary extends React.Component<IProps, { failed: boolean }> {
  state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  componentDidCatch(error: unknown): void {
    console.error('The code interpreter could not show something.', error);
  }

  render(): React.ReactNode {
    return this.state.failed ? (
      <p className="jp-CIWaiting">{this.props.instead}</p>
    ) : (
      this.props.children
    );
  }
}
