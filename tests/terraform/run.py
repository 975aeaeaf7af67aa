#!/usr/bin/env python3
"""run.py quick|all: the stories of terraform/, with a timeline."""

import sys

import aws_story
import hosts
import modules_story
import vsphere_story
from project import Tree
from timeline import Failed, fail, say


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    if what != "quick":
        hosts.enter()
    tree = Tree()
    try:
        if what == "quick":
            modules_story.quick(tree)
        else:
            stories = {"modules": lambda: modules_story.whole(tree), "vsphere": lambda: vsphere_story.story(tree, tree.folder), "aws": lambda: aws_story.story(tree, tree.folder)}
            for name in stories if what == "all" else [what]:
                print(f"\n  {name}")
                stories[name]()
        say("all is well")
    except Failed as error:
        fail(error)
    finally:
        tree.close()


if __name__ == "__main__":
    main()
