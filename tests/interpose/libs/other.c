int other_value(void);

int other_value(void)
{
    return 17;
}
