int judge_nobody_defines_this(void);
int undefined_value(void);

int undefined_value(void)
{
    return judge_nobody_defines_this();
}
